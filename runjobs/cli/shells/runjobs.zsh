#compdef runjobs
# What makes zsh complete the words of runjobs. Made to stand as `_runjobs` in a folder of $fpath, or to be read by
# `eval "$(runjobs completion zsh)"` behind compinit in ~/.zshrc.

_runjobs() {
    local -a found plain
    local line
    found=("${(@f)$(${(Q)~words[1]} completion zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" </dev/null 2>/dev/null)}")
    case $found[1] in
        '') return 1 ;;
        :files) compset -P '--*='; _files ;;
        :folders) compset -P '--*='; _files -/ ;;
        :programs) _command_names -e ;;
        *)
            # _describe takes what follows the first colon for the note
            for line in $found; do
                plain+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
            done
            _describe -V runjobs plain
            ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _runjobs "$@"
else
    compdef _runjobs runjobs
fi
