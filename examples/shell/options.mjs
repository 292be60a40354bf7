// The command line of the shell.
import { fileURLToPath } from "node:url";

const usage = `usage: node examples/shell/main.mjs [--seconds N] [--pillion PATH]

  --seconds N      how long the live view runs (4)
  --pillion PATH   the program to start (build/release/sidecar/pillion)
`;

/** Reads the command line; ends the program where it asks for help or makes no sense. */
export function readOptions(args) {
  const options = {
    seconds: 4,
    pillion: fileURLToPath(new URL("../../build/release/sidecar/pillion", import.meta.url)),
  };
  for (let i = 0; i < args.length; i += 1) {
    const [name, inline] = args[i].split(/=(.*)/s, 2);
    if (name === "--help" || name === "-h") end(process.stdout, usage, 0);
    if (!["--seconds", "--pillion"].includes(name)) end(process.stderr, `error: unknown option ${args[i]}; see --help\n`, 2);
    const value = inline ?? args[(i += 1)];
    if (value === undefined) end(process.stderr, `error: ${name} needs a value; see --help\n`, 2);
    if (name === "--pillion") options.pillion = value;
    else options.seconds = Number(value);
  }
  if (!(options.seconds > 0 && options.seconds <= 3600)) end(process.stderr, `error: --seconds takes a number over 0, at most 3600\n`, 2);
  return options;
}

function end(stream, text, status) {
  stream.write(text);
  process.exit(status);
}
