# Completion of bash for ferret, ferret-broker and ferret-worker. What there is to complete is asked from the program
# itself (--print-flags), so that it is always the one that is installed.

# Rows of the program's table of one kind: their fields with a byte between that no text has.
_ferret_rows() {
    local kind=$1
    shift
    "$@" --print-flags 2>/dev/null | sed -n "s/^$kind\t//p" | tr '\t' '\037'
}

# What may follow a flag: words of a choice, or files where its value is one.
_ferret_value() {
    local kind=$1 value=$2 current=$3
    case $value in
    *[A-Z][A-Z]*=DIR) # NAME=DIR: the folder behind the name
        if [[ $current == *=* ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "${current#*=}")
            compopt -o filenames -o nospace
        fi
        ;;
    DIR*) mapfile -t COMPREPLY < <(compgen -d -- "$current") && compopt -o filenames ;;
    FILE* | PROGRAM | PATH*) mapfile -t COMPREPLY < <(compgen -f -- "$current") && compopt -o filenames ;;
    *'|'* | ml-ferret) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$current") ;;
    esac
}

_ferret_argument() {
    local args=$1 current=$2
    shift 2
    case $args in
    *CAMPAIGN* | JOB*)
        local names
        names=$(timeout 2 "$1" status 2>/dev/null | sed -n 's/^\([^ :]*\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$names" -- "$current")
        ;;
    PATH* | CHECKPOINT* | FILE*) mapfile -t COMPREPLY < <(compgen -f -- "$current") && compopt -o filenames ;;
    esac
}

_ferret() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} at=1
    local program=("${COMP_WORDS[0]}") row name letter kind value rest
    COMPREPLY=()
    # A table of commands (ferret, ferret admin) is walked down to a table of flags.
    while [ $at -le "$COMP_CWORD" ]; do
        local commands
        commands=$(_ferret_rows command "${program[@]}" | cut -d $'\037' -f 1)
        [ -n "$commands" ] || break
        if [ $at -eq "$COMP_CWORD" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$current")
            return
        fi
        program+=("${COMP_WORDS[at]}")
        at=$((at + 1))
    done
    # The shell splits at "=": --task=x, and --root NAME=DIR.
    if [ "$current" = = ] || [ "$before" = = ]; then
        local left=$((COMP_CWORD - 2))
        [ "$current" != = ] || left=$((COMP_CWORD - 1)) current=
        before=${COMP_WORDS[left]}
        [[ $before == --* ]] || before=${COMP_WORDS[left - 1]} current="=$current"
    fi
    local flags=(--config --print-config --print-flags --help --version)
    while IFS=$'\037' read -r name letter kind value rest; do
        if [ "$before" = "--$name" ] || { [ -n "$letter" ] && [ "$before" = "-$letter" ]; }; then
            if [ "$kind" != switch ] && [ "$kind" != secret ]; then
                _ferret_value "$kind" "$value" "$current"
                return
            fi
        fi
        [ "$kind" = secret ] || flags+=("--$name")
    done < <(_ferret_rows flag "${program[@]}")
    if [ "$before" = --config ]; then
        _ferret_value value FILE "$current"
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${flags[*]}" -- "$current")
    else
        IFS=$'\037' read -r name value rest < <(_ferret_rows program "${program[@]}")
        _ferret_argument "$value" "$current" "${program[0]}"
    fi
}
complete -F _ferret ferret ferret-broker ferret-worker
