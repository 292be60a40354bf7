// The command line of the shell.
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const usage = `usage: node examples/shell/main.mjs [--seconds N] [--pillion PATH] [--charts FOLDER]

  --seconds N      how long the live view runs (4)
  --pillion PATH   the program to start (build/release/sidecar/pillion)
  --charts FOLDER  where the charts of the starts are written (the system's folder for temporary files)
`;

/** Reads the command line; ends the program where it asks for help or makes no sense. */
export function readOptions(args) {
  const options = {
    seconds: 4,
    charts: tmpdir(),
    pillion: fileURLToPath(new URL("../../build/release/sidecar/pillion", import.meta.url)),
  };
  for (let i = 0; i < args.length; i += 1) {
    const [name, inline] = args[i].split(/=(.*)/s, 2);
    if (name === "--help" || name === "-h") end(process.stdout, usage, 0);
    if (!["--seconds", "--pillion", "--charts"].includes(name)) end(process.stderr, `error: unknown option ${args[i]}; see --help\n`, 2);
    const value = inline ?? args[(i += 1)];
    if (value === undefined) end(process.stderr, `error: ${name} needs a value; see --help\n`, 2);
    if (name === "--pillion") options.pillion = resolve(value);
    else if (name === "--charts") options.charts = resolve(value);
    else options.seconds = Number(value);
  }
  if (!(options.seconds > 0 && options.seconds <= 3600)) end(process.stderr, `error: --seconds takes a number over 0, at most 3600\n`, 2);
  return options;
}

function end(stream, text, status) {
  stream.write(text);
  process.exit(status);
}
