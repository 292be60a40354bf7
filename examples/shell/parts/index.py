"""Counts the words of the documents in a folder, and prints the most frequent ones as JSON."""
import collections
import json
import pathlib
import re
import sys

words = collections.Counter()
documents = sorted(pathlib.Path(sys.argv[1]).glob("*.md"))
for document in documents:
    words.update(re.findall(r"[a-z]{4,}", document.read_text(encoding="utf-8").lower()))
print(json.dumps({"documents": len(documents), "words": words.total(), "frequent": [word for word, _ in words.most_common(5)]}))
