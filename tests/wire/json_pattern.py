"""JSON as it stands in a transcript: values that remember how they were written, and patterns that match them.

A pattern is JSON with these additions:
  ...                     in an object: further members; in an array: further elements
  "<any>" "<number>" "<string>" "<bool>" "<array>" "<object>"
  "<contains TEXT>"       a string with TEXT in it
  "<bytes N>"             a string of N bytes
  "<above N>"             a number larger than N
  "<keep NAME>"           any string; ${NAME} stands for it from then on
  ["<any order>", ...]    an array whose elements may come in any order
Numbers are compared as they are written (1.0 is not 1), and so is the "id" of a message, escapes included.
"""
import json
import re

ELLIPSIS = object()
TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)'
                   r"|(?P<word>true|false|null|\.\.\.)|(?P<mark>[{}\[\],:]))")


class Number(str):
    """A number as it was written."""


class Text(str):
    """A string, decoded, with what was written in `raw`."""
    raw: str


class NotJson(Exception):
    pass


class Parser:
    def __init__(self, text: str):
        self.text, self.at = text, 0

    def token(self) -> tuple[str, str]:
        match = TOKEN.match(self.text, self.at)
        if not match:
            raise NotJson(f"no JSON at character {self.at}: {self.text[self.at:self.at + 40]!r}")
        self.at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def peek(self) -> str:
        start = self.at
        text = self.token()[1]
        self.at = start
        return text

    def value(self):
        kind, text = self.token()
        if kind == "string":
            value = Text(json.loads(text))
            value.raw = text
            return value
        if kind == "number":
            return Number(text)
        if kind == "word":
            return {"true": True, "false": False, "null": None, "...": ELLIPSIS}[text]
        if text == "[":
            return self.sequence("]", list.append, self.value, [])
        if text == "{":
            return self.sequence("}", self.add_member, self.member, {})
        raise NotJson(f"{text!r} at character {self.at}")

    def sequence(self, closer: str, add, read, into):
        if self.peek() == closer:
            self.token()
            return into
        while True:
            add(into, read())
            text = self.token()[1]
            if text == closer:
                return into
            if text != ",":
                raise NotJson(f"{text!r} at character {self.at}")

    def member(self):
        kind, text = self.token()
        if text == "...":
            return ELLIPSIS, True
        if kind != "string" or self.token()[1] != ":":
            raise NotJson(f"no member at character {self.at}")
        return json.loads(text), self.value()

    @staticmethod
    def add_member(into: dict, member) -> None:
        if member[0] in into:
            raise NotJson(f"member {member[0]!r} stands twice")
        into[member[0]] = member[1]


def parse(text: str):
    parser = Parser(text)
    value = parser.value()
    if parser.text[parser.at:].strip():
        raise NotJson(f"something follows at character {parser.at}")
    return value


def mismatch(pattern, value, kept: dict[str, str], path: str = "") -> str | None:
    """Where and how the value differs from the pattern; None if it does not. What is to be kept goes into `kept`."""
    here = path or "the message"
    if isinstance(pattern, Text) and pattern.startswith("<") and pattern.endswith(">"):
        return None if matches_placeholder(pattern[1:-1], value, kept) else f"{here} is {show(value)}, not {pattern}"
    if isinstance(pattern, dict):
        return mismatch_in_object(pattern, value, kept, path, here)
    if isinstance(pattern, list):
        return mismatch_in_array(pattern, value, kept, path, here)
    if type(pattern) is not type(value) or pattern != value:
        return f"{here} is {show(value)}, not {show(pattern)}"
    if isinstance(value, Text) and path.endswith("/id") and pattern.raw != value.raw:
        return f"{here} is written {value.raw}, not {pattern.raw}"
    return None


def mismatch_in_object(pattern: dict, value, kept, path, here) -> str | None:
    if not isinstance(value, dict):
        return f"{here} is {show(value)}, not an object"
    for key, wanted in pattern.items():
        if key is ELLIPSIS:
            continue
        if key not in value:
            return f"{path}/{key} is missing"
        if found := mismatch(wanted, value[key], kept, f"{path}/{key}"):
            return found
    extra = [key for key in value if key not in pattern]
    return f"{path}/{extra[0]} is not expected" if extra and ELLIPSIS not in pattern else None


def mismatch_in_array(pattern: list, value, kept, path, here) -> str | None:
    if not isinstance(value, list):
        return f"{here} is {show(value)}, not an array"
    if pattern and pattern[0] == "<any order>":
        left = list(value)
        for wanted in pattern[1:]:
            match = next((i for i, element in enumerate(left) if mismatch(wanted, element, kept, f"{path}/*") is None), None)
            if match is None:
                return f"{here} has no element like {show(wanted)}"
            del left[match]
        return f"{here} has more: {show(left[0])}" if left else None
    is_open = bool(pattern) and pattern[-1] is ELLIPSIS
    wanted = pattern[:-1] if is_open else pattern
    if len(value) < len(wanted) or (len(value) > len(wanted) and not is_open):
        return f"{here} has {len(value)} elements, not {len(wanted)}"
    for index, element in enumerate(wanted):
        if found := mismatch(element, value[index], kept, f"{path}/{index}"):
            return found
    return None


def matches_placeholder(wanted: str, value, kept: dict[str, str]) -> bool:
    name, _, argument = wanted.partition(" ")
    if name == "any":
        return True
    if name == "keep":
        kept[argument] = str(value)
        return isinstance(value, Text)
    if name == "contains":
        return isinstance(value, Text) and argument in value
    if name == "bytes":
        return isinstance(value, Text) and len(value.encode()) == int(argument)
    if name == "above":
        return isinstance(value, Number) and float(value) > float(argument)
    kinds = {"number": Number, "string": Text, "bool": bool, "array": list, "object": dict}
    if name not in kinds:
        raise NotJson(f"no such pattern: <{wanted}>")
    return isinstance(value, kinds[name])


def show(value) -> str:
    if value is ELLIPSIS:
        return "..."
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Text):
        return value.raw if len(value.raw) < 200 else value.raw[:200] + "…"
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join("..." if key is ELLIPSIS else f"{json.dumps(key)}: {show(member)}" for key, member in value.items()) + "}"
    return json.dumps(value)
