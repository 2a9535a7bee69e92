_llava_completion() {
    local IFS=$'\n' line
    COMPREPLY=()
    for line in $(env _LLAVA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                      _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" llava); do
        COMPREPLY+=("${line%%$'\t'*}")
    done
}

complete -o default -F _llava_completion llava
