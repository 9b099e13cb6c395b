# What makes fish complete the words of runjobs. Made to stand as runjobs.fish in ~/.config/fish/completions, or to be
# read by `runjobs completion fish | source`.

function __runjobs_words
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($typed[1] completion fish -- $typed[2..-1] "$current" </dev/null 2>/dev/null)
    # --jobs=PATH is one word here: what stands before the path comes back with it
    set -l before (string match -r -- '^--[^=]*=' $current)
    set -l path (string replace -r -- '^--[^=]*=' '' $current)
    switch "$found[1]"
        case :files
            for each in (complete -C "'' $path")
                echo "$before"$each
            end
        case :folders
            for each in (__fish_complete_directories "$path" '')
                echo "$before"$each
            end
        case :programs
            complete -C "$current"
        case '*'
            string join -- \n $found
    end
end

complete -c runjobs -e
complete -c runjobs -f -k -a '(__runjobs_words)'
