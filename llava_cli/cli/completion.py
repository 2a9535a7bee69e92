# SPDX-License-Identifier: Apache-2.0
"""Completion scripts for the shells: in the package, and what `llava --install-completion` writes.

Each asks the program, line by line a word and its text, so that no text is ever read as a part of a script. The
library's own scripts lose apostrophes, know nothing of `--model=n`, and do nothing at zsh's first TAB.
"""

from __future__ import annotations

from typer._completion_shared import _completion_scripts as _library_scripts

BASH = r"""
_llava_completion() {
    local IFS=$'\n' line
    COMPREPLY=()
    for line in $(env _LLAVA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                      _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" llava); do
        COMPREPLY+=("${line%%$'\t'*}")
    done
}

complete -o default -F _llava_completion llava
"""

ZSH = r"""
#compdef llava

_llava_completion() {
  local line word
  local -a offered
  for line in "${(@f)$(env _LLAVA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                           _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" llava)}"; do
    word=${line%%$'\t'*}
    [[ -n $word ]] && offered+=("${word//:/\\:}${${line#$word}/$'\t'/:}")
  done
  compset -P '--*='
  if (( $#offered )); then
    _describe -V 'llava' offered
  else
    _files
  fi
}

compdef _llava_completion llava
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _llava_completion "$@"
fi
"""

FISH = r"""
function __llava_complete
    env _LLAVA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
        _TYPER_COMPLETE_ARGS=(commandline -cp | string collect) llava
end

function __llava_words
    set -l option (string match -r -- '^--[^=]+=' (commandline -ct); or echo '')
    __llava_complete get-args | string replace -r '^' -- "$option"
end

complete --command llava --no-files --arguments '(__llava_words)' --condition '__llava_complete is-args'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

_library_scripts.update({shell: script.replace("%", "%%") for shell, script in SCRIPTS.items()})
