/** Exit codes, and the errors that lead to them. */

export const EXIT_CLEAN = 0;
export const EXIT_FINDING = 1;
export const EXIT_USAGE = 2;
/** The budget was spent before all was done: `explore` is not complete, or `demo` did not find one of its forms. */
export const EXIT_BUDGET = 3;
export const EXIT_DEFECT = 4;

/** Bad usage or bad input. The message names the thing and the mend, in one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A text on one line, whatever it was. */
export const oneLine = (text: string): string => text.replace(/\s*[\r\n]+\s*/g, " ").trim();

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const IO_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  ENOTDIR: "part of the path is not a directory",
  EEXIST: "a file of that name is in the way",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  ENAMETOOLONG: "the name is too long",
};

/** Why a file operation failed, in words. */
export function ioReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return IO_REASONS[code] ?? oneLine(messageOf(error));
}
