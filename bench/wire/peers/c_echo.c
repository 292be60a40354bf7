/*
 * The limit of the wire: the least that any program can do to answer the benchmark's requests.
 * One thread, no allocation, no parsing. It knows the benchmark's own lines by heart:
 *
 *   {"jsonrpc":"2.0","id":<digits>,"method":"rpc.echo","params":<params>}
 *   {"jsonrpc":"2.0","id":<digits>,"method":"rpc.ping"}
 *
 * so the answer is three copies from fixed positions. In a batch the params must end at their first `}`.
 * Anything else sent to it gets nonsense back. That is the point: no real peer can be faster.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Untouched pages of static storage cost nothing, so one size serves 100-byte lines and large ones. */
enum { buffer_bytes = 16 * 1024 * 1024, flush_at_bytes = 64 * 1024, in_place_at_bytes = 16 * 1024 };

static char input[buffer_bytes];
static char output[buffer_bytes];
static size_t output_used_bytes;

static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
static const char call[] = ",\"method\":\"rpc.echo\"";
static const char echo[] = ",\"method\":\"rpc.echo\",\"params\":";
static const char result[] = ",\"result\":";
static const char empty_result[] = ",\"result\":{}}";

#define LENGTH(literal) (sizeof(literal) - 1)
#define METHOD_LETTER (LENGTH(",\"method\":\"rpc."))

static void write_all(const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written <= 0) {
            _exit(0);
        }
        bytes += written;
        count -= (size_t)written;
    }
}

static void flush(void)
{
    write_all(output, output_used_bytes);
    output_used_bytes = 0;
}

static void append(const char *bytes, size_t count)
{
    memcpy(output + output_used_bytes, bytes, count);
    output_used_bytes += count;
}

/* `{"jsonrpc":"2.0","id":7` stands in request and answer alike: it is copied with the id in one go. */
static const char *find_id_end(const char *request)
{
    const char *at = request + LENGTH(head);
    while (*at != ',') {
        at++;
    }
    return at;
}

static void answer_single(char *line, size_t line_bytes)
{
    char *id_end = (char *)find_id_end(line);
    size_t head_bytes = (size_t)(id_end - line);
    if (id_end[METHOD_LETTER] == 'p') {
        append(line, head_bytes);
        append(empty_result, LENGTH(empty_result));
        append("\n", 1);
        return;
    }
    char *params = id_end + LENGTH(echo);
    size_t rest_bytes = line_bytes - (size_t)(params - line);
    if (line_bytes >= in_place_at_bytes) {
        /* The answer is shorter than the request, so a large one is written from where it was read. */
        char *start = params - LENGTH(result) - head_bytes;
        memmove(start, line, head_bytes);
        memcpy(start + head_bytes, result, LENGTH(result));
        flush();
        write_all(start, head_bytes + LENGTH(result) + rest_bytes);
        return;
    }
    append(line, head_bytes);
    append(result, LENGTH(result));
    append(params, rest_bytes);
}

static void answer_batch(const char *line)
{
    const char *member = line + 1;
    append("[", 1);
    for (;;) {
        const char *id_end = find_id_end(member);
        const char *member_end;
        append(member, (size_t)(id_end - member));
        if (id_end[METHOD_LETTER] == 'p') {
            append(empty_result, LENGTH(empty_result));
            member_end = id_end + LENGTH(call) + 1;
        } else {
            const char *params = id_end + LENGTH(echo);
            member_end = (const char *)memchr(params, '}', buffer_bytes) + 2;
            append(result, LENGTH(result));
            append(params, (size_t)(member_end - params));
        }
        append(member_end, 1);
        if (*member_end != ',') {
            break;
        }
        member = member_end + 1;
    }
    append("\n", 1);
}

int main(void)
{
    size_t used_bytes = 0;
    size_t searched_bytes = 0;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, input + used_bytes, buffer_bytes - used_bytes);
        if (got <= 0) {
            return 0;
        }
        used_bytes += (size_t)got;
        char *line = input;
        char *end = input + used_bytes;
        char *newline = memchr(input + searched_bytes, '\n', used_bytes - searched_bytes);
        while (newline != NULL) {
            if (*line == '[') {
                answer_batch(line);
            } else {
                answer_single(line, (size_t)(newline + 1 - line));
            }
            if (output_used_bytes >= flush_at_bytes) {
                flush();
            }
            line = newline + 1;
            newline = memchr(line, '\n', (size_t)(end - line));
        }
        flush();
        used_bytes = (size_t)(end - line);
        if (line != input) {
            memmove(input, line, used_bytes);
        }
        searched_bytes = used_bytes;
    }
}
