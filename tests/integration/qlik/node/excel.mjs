// Reads a file with a JSON list of [code, value] and writes what Excel would display, as a JSON list.
import { readFileSync } from "node:fs";
import SSF from "ssf";

const shown = ([code, value]) => {
  try {
    return SSF.format(code, value);
  } catch (error) {
    return `cannot be shown: ${error.message}`;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(process.argv[2], "utf-8")).map(shown)));
