# The manual page of what has commands under it, in mdoc(7), from what its --print-flags says.
#   awk -v date='January 1, 2026' -v name='ferret admin' -v about='operate the queue' -f text.awk -f overview.awk
BEGIN {
    FS = "\t"
    title = name
    gsub(/ /, "-", title)
    print ".Dd " date
    print ".Dt " toupper(title) " 1"
    print ".Os"
    print ".Sh NAME"
    print ".Nm " title
    print ".Nd " plain(about)
    print ".Sh SYNOPSIS"
    print ".Nm " name
    print ".Ar COMMAND"
    print ".Op Ar FLAGS"
    print ".Op Ar ARGUMENTS"
    print ".Sh DESCRIPTION"
    print "Each command has a page of its own, which lists its flags."
    print ".Bl -tag -width Ds"
}
$1 == "command" {
    print ".It Cm " word($2)
    sub(/[.]$/, "", $3)
    paragraph(capital($3) ".")
    print "See"
    print ".Xr " title "-" $2 " 1 ."
}
END {
    print ".El"
    print ".Sh EXIT STATUS"
    print "0 all well, 1 some items failed, 2 usage, 3 unreachable, 4 refused."
    print ".Sh SEE ALSO"
    print ".Xr ferret-broker 1 ,"
    print ".Xr ferret-worker 1"
}
