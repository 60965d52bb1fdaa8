/** The part of cli-progress that is used; the package has no types. */
declare module "cli-progress" {
  export class SingleBar {
    constructor(options: {
      clearOnComplete?: boolean;
      linewrap?: boolean;
      stream?: NodeJS.WritableStream;
      format?: string;
      barsize?: number;
    });
    start(total: number, startValue: number): void;
    update(value: number): void;
    stop(): void;
  }
  const cliProgress: { SingleBar: typeof SingleBar };
  export default cliProgress;
}
