"""Reads the app's settings, refuses what it does not know, and prints them as JSON."""
import json
import sys

KNOWN = {"theme", "language", "recent"}

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)
if unknown := sorted(settings.keys() - KNOWN):
    sys.exit(f"{sys.argv[1]}: unknown settings: {', '.join(unknown)}")
print(json.dumps(settings))
