# What makes bash complete the words of runjobs. Made to be read by `eval "$(runjobs completion bash)"` in ~/.bashrc,
# or to stand as `runjobs` in a folder of bash-completion.

_runjobs() {
    local program=${COMP_WORDS[0]/#\~\//$HOME/} found
    mapfile -t found < <(
        "$program" completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" </dev/null 2>/dev/null
    )
    COMPREPLY=()
    case ${found[0]} in
        :files) compopt -o default ;;
        :folders) compopt -o dirnames ;;
        :programs) mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}") ;;
        *)
            COMPREPLY=("${found[@]%%$'\t'*}")
            [[ ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
            compopt -o nosort 2>/dev/null
            ;;
    esac
}

complete -F _runjobs runjobs
