function __llava_complete
    env _LLAVA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
        _TYPER_COMPLETE_ARGS=(commandline -cp | string collect) llava
end

function __llava_words
    set -l option (string match -r -- '^--[^=]+=' (commandline -ct); or echo '')
    __llava_complete get-args | string replace -r '^' -- "$option"
end

complete --command llava --no-files --arguments '(__llava_words)' --condition '__llava_complete is-args'
