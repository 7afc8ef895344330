# Completion of fish for ferret, ferret-broker and ferret-worker. What there is to complete is asked from the program
# itself (--print-flags), so that it is always the one that is installed.

# The program and the commands under it that the line names so far: "ferret", "ferret submit", "ferret admin drain".
function __ferret_program
    set -l words (commandline -opc)
    set -l program $words[1]
    for word in $words[2..]
        string match -q -- 'command*' ($program --print-flags 2>/dev/null) || break
        set -a program $word
    end
    printf '%s\n' $program
end

function __ferret_rows
    set -l program (__ferret_program)
    $program --print-flags 2>/dev/null
end

# The words for a value, by the word that --help has for it.
function __ferret_value
    set -l current (commandline -ct)
    switch $argv[1]
        case 'NAME=DIR'
            string match -q '*=*' -- $current && __fish_complete_directories (string replace -r '.*=' '' -- $current) | string replace -r '^' (string replace -r '=.*' '=' -- $current)
        case 'DIR*'
            __fish_complete_directories $current
        case 'FILE*' PROGRAM 'PATH*' 'CHECKPOINT*'
            __fish_complete_path $current
        case '*CAMPAIGN*' 'JOB*'
            set -l words (commandline -opc)
            timeout 2 $words[1] status 2>/dev/null | string replace -rf '^([^ :]+).*' '$1'
        case '*|*' ml-ferret
            string split '|' -- (string replace -a -r '[\[\]]' '' -- $argv[1])
    end
end

function __ferret_complete
    set -l words (commandline -opc)
    set -l before $words[-1]
    set -l rows (__ferret_rows)
    for row in $rows
        set -l fields (string split \t -- $row)
        switch $fields[1]
            case command
                printf '%s\t%s\n' $fields[2] $fields[3]
            case flag
                if test "$before" = "--$fields[2]"; or test -n "$fields[3]" -a "$before" = "-$fields[3]"
                    if not contains -- $fields[4] switch secret
                        __ferret_value $fields[5]
                        return
                    end
                end
        end
    end
    if test "$before" = --config
        __ferret_value FILE
        return
    end
    if string match -q -- '-*' (commandline -ct)
        for row in $rows
            set -l fields (string split \t -- $row)
            test "$fields[1]" = flag -a "$fields[4]" != secret && printf '%s\t%s\n' --$fields[2] $fields[7]
        end
        printf '%s\t%s\n' --help help --version 'the version' --config 'settings from a file' --print-config 'settings in force'
    else
        for row in $rows
            set -l fields (string split \t -- $row)
            test "$fields[1]" = program && __ferret_value $fields[3]
        end
    end
end

for program in ferret ferret-broker ferret-worker
    complete -c $program -f -a '(__ferret_complete)'
end
