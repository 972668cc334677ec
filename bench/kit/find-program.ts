import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where system programs are that an ordinary PATH lacks. */
const MORE_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/go/bin", "/opt/homebrew/bin"];

/** The path of a program, or `undefined` when it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...MORE_FOLDERS];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
