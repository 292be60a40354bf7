// The peer a desktop author would pick: Node without any library. Lines are split by hand, and the answers
// to all lines of one chunk leave in one write.

function answer(request) {
  switch (request.method) {
    case 'rpc.echo':
      return { jsonrpc: '2.0', id: request.id, result: request.params ?? {} };
    case 'rpc.ping':
      return { jsonrpc: '2.0', id: request.id, result: {} };
    default:
      return { jsonrpc: '2.0', id: request.id, error: { code: -32601, message: 'Method not found' } };
  }
}

function answerLine(line) {
  try {
    const message = JSON.parse(line);
    return JSON.stringify(Array.isArray(message) ? message.map(answer) : answer(message)) + '\n';
  } catch {
    return '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}\n';
  }
}

let rest = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  // Only the new chunk is searched: a line of a megabyte arrives in many of them.
  let newline = chunk.indexOf('\n');
  if (newline < 0) {
    rest += chunk;
    return;
  }
  let answers = answerLine(rest + chunk.slice(0, newline));
  let start = newline + 1;
  while ((newline = chunk.indexOf('\n', start)) >= 0) {
    answers += answerLine(chunk.slice(start, newline));
    start = newline + 1;
  }
  rest = chunk.slice(start);
  process.stdout.write(answers);
});
