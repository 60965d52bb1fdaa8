/** Claims of the thread with what came of examining them: their type, and their text. */

/** What examining a claim came to. */
export type ClaimVerdict = "confirmed" | "refuted" | "undecided";

/** A claim, or a question with an answer in it. `utrace-sim claims --json` prints these; their fields stay. */
export interface Claim {
  /** Short name, for `claims NAME`. */
  readonly name: string;
  /** What is claimed: in the words of the mail where they are in quotation marks. */
  readonly claim: string;
  readonly author: string;
  /** Of the mail, as the archive gives it. */
  readonly date: string;
  readonly verdict: ClaimVerdict;
  /** The verdict in one sentence. */
  readonly because: string;
  /** What it rests on, with figures. */
  readonly evidence: readonly string[];
  /** What it does not settle. */
  readonly limits: string;
  /** Command lines that give the evidence again. */
  readonly commands: readonly string[];
}

/** The claims, one after the other, and how many came to what. */
export function claimsText(claims: readonly Claim[]): string {
  return [...claims.map(claimText), summary(claims)].join("\n\n");
}

const WIDTH = 100;

function claimText({ name, claim, author, date, verdict, because, evidence, limits, commands }: Claim): string {
  return [
    `${verdict.toUpperCase()}  ${name}`,
    ...wrap(claim, "  "),
    `  ${author}, ${date}`,
    "",
    ...wrap(because, "  "),
    ...evidence.flatMap((line) => wrap(line, "    ").map((text, i) => (i === 0 ? `  - ${text.trimStart()}` : text))),
    ...(limits === "" ? [] : wrap(`Limits: ${limits}`, "  ")),
    ...commands.map((command) => `  $ ${command}`),
  ].join("\n");
}

function summary(claims: readonly Claim[]): string {
  const count = (verdict: ClaimVerdict): number => claims.filter((claim) => claim.verdict === verdict).length;
  return `${count("confirmed")} confirmed, ${count("refuted")} refuted, ${count("undecided")} undecided`;
}

/** Breaks a text into lines, each behind an indent. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(indent + line);
  return lines;
}
