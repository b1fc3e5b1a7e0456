"""Completion scripts for shells, made from the command line's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sidlearn.cli import verb_parsers


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for ``bash``, ``zsh`` or ``fish``."""
    return SHELLS[shell](_verbs(parser))


Verbs = dict[str, tuple[str, list[tuple[tuple[str, ...], str, list[str]]]]]
"""Verb -> (what it does, [(option names or (), help, choices)])."""


def _verbs(parser: argparse.ArgumentParser) -> Verbs:
    group = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {a.dest: a.help or "" for a in group._choices_actions}
    return {
        name: (
            helps.get(name, ""),
            [(tuple(a.option_strings), a.help or "", [str(c) for c in a.choices or ()]) for a in verb._actions],
        )
        for name, verb in verb_parsers(parser).items()
    }


def _bash(verbs: Verbs) -> str:
    cases, values = [], []
    for name, (_, options) in verbs.items():
        words = " ".join(word for names, _, _ in options for word in names)
        positional = " ".join(c for names, _, choices in options if not names for c in choices)
        cases.append(f'    {name}) words="{words}"; plain="{positional}" ;;')
        values += [
            f'    {name}:{n}) plain="{" ".join(choices)}"; words="" ;;'
            for names, _, choices in options
            for n in names
            if choices
        ]
    return f"""# sidlearn completion for bash: eval "$(sidlearn completion bash)"
_sidlearn() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local verb="${{COMP_WORDS[1]}}" words="" plain=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(verbs)} --help --version" -- "$current")); return
  fi
  case "$verb" in
{chr(10).join(cases)}
  esac
  case "$verb:$before" in
{chr(10).join(values)}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) if [ -n "$plain" ]; then COMPREPLY=($(compgen -W "$plain" -- "$current"))
       else COMPREPLY=($(compgen -f -- "$current")); fi ;;
  esac
}}
complete -o filenames -F _sidlearn sidlearn
"""


def _zsh(verbs: Verbs) -> str:
    names = "\n".join(f"    '{name}:{_quiet(text)}'" for name, (text, _) in verbs.items())
    cases = []
    for name, (_, options) in verbs.items():
        rows = []
        for option_names, text, choices in options:
            values = f":value:({' '.join(choices)})" if choices else ""
            rows += [f"'{option}[{_quiet(text)}]{values}'" for option in option_names]
            if not option_names:
                rows.append(f"'*:argument:({' '.join(choices)})'" if choices else "'*:file:_files'")
        cases.append(f"    {name}) _arguments {' '.join(rows)} ;;")
    return f"""#compdef sidlearn
# sidlearn completion for zsh: sidlearn completion zsh > "${{fpath[1]}}/_sidlearn"
_sidlearn() {{
  local -a verbs
  verbs=(
{names}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  local verb=$words[2]
  shift words; (( CURRENT-- ))
  case $verb in
{chr(10).join(cases)}
  esac
}}
compdef _sidlearn sidlearn
"""


def _fish(verbs: Verbs) -> str:
    lines = ["# sidlearn completion for fish: sidlearn completion fish > ~/.config/fish/completions/sidlearn.fish"]
    for name, (text, options) in verbs.items():
        lines.append(f"complete -c sidlearn -n __fish_use_subcommand -f -a {name} -d '{_quiet(text)}'")
        for names, help_text, choices in options:
            flags = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in names)
            values = f" -x -a '{' '.join(choices)}'" if choices else ""
            if flags or values:
                condition = f"-n '__fish_seen_subcommand_from {name}'"
                lines.append(f"complete -c sidlearn {condition} {flags}{values} -d '{_quiet(help_text)}'")
    return "\n".join(lines) + "\n"


def _quiet(text: str) -> str:
    """Return help text without the characters that mean something to a shell."""
    return text.translate(str.maketrans("[]:", "(),", "'%"))


SHELLS: dict[str, Callable[[Verbs], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
"""Shell -> function that writes its script."""
