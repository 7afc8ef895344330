# The manual page of a program, in mdoc(7), from what its --print-flags says. The rest of a page, the same for all, stands here.
#   awk -v date='January 1, 2026' -f text.awk -f page.awk
BEGIN { FS = "\t" }

$1 == "program" {
    name = $2
    title = name
    gsub(/ /, "-", title)
    args = $3
    about = $4
    first = about
    sub(/[.:] .*/, "", first)
    sub(/[.]$/, "", first)
    print ".Dd " date
    print ".Dt " toupper(title) " 1"
    print ".Os"
    print ".Sh NAME"
    print ".Nm " title
    print ".Nd " plain(tolower(substr(first, 1, 1)) substr(first, 2))
    print ".Sh SYNOPSIS"
    print ".Nm " name
    print ".Op Ar FLAGS"
    if (args != "")
        print ".Ar " word(args)
    print ".Sh DESCRIPTION"
    paragraph(about)
}
$1 == "group" { group = $2 }
$1 == "flag" && group != "" {
    if (groups++)
        print ".El"
    print ".Ss " capital(plain(group))
    print ".Bl -tag -width Ds"
    group = ""
}
$1 == "flag" {
    flag = $2; letter = $3; kind = $4; value = $5; fallback = $6; help = $7
    variable = "FERRET_" toupper(flag)
    gsub(/-/, "_", variable)
    if (kind == "secret")
        print ".It Ev " variable
    else
        print ".It " (letter != "" ? "Fl " letter " , " : "") "Fl Fl " word(flag) (value != "" ? " Ar " word(value) : "")
    paragraph(capital(help) (kind == "list" ? " (repeatable)" : "") ".")
    if (kind == "secret")
        paragraph("A secret: from the environment or a file, never a flag.")
    if (fallback != "")
        paragraph("Default: " fallback ".")
    environment = environment ".It Ev " variable "\n"
}
$1 == "example" { examples = examples plain($2) "\n" }
END {
    if (groups)
        print ".El"
    print ".Ss Settings"
    print ".Bl -tag -width Ds"
    print ".It Fl Fl \\&config Ar FILE"
    print "A JSON object with flags as keys, without the dashes in front."
    print "Variables of the environment win over it, flags win over both."
    print ".It Fl Fl \\&print\\-config"
    print "Print the settings in force, each with its source, and exit."
    print ".It Fl Fl \\&print\\-flags"
    print "Print these flags for programs, a line each with tabs between, and exit."
    print ".It Fl Fl \\&version"
    print "Print the version and exit."
    print ".It Fl h , Fl Fl \\&help"
    print "Print a summary and exit."
    print ".El"
    print ".Sh ENVIRONMENT"
    print "Every flag is a variable too:"
    print ".Fl Fl \\&max\\-tokens"
    print "is"
    print ".Ev FERRET_MAX_TOKENS ."
    print "An empty one counts as absent."
    print ".Bl -tag -width Ds -compact"
    printf "%s", environment
    print ".It Ev FERRET_CONFIG"
    print ".El"
    print ".Sh EXIT STATUS"
    print ".Bl -tag -width Ds -compact"
    print ".It 0"
    print "All well."
    print ".It 1"
    print "Some items failed, or a file could not be read or written."
    print ".It 2"
    print "Usage: a flag, a setting or an argument is wrong."
    print ".It 3"
    print "Unreachable: broker or Redis."
    print ".It 4"
    print "Refused: policy, safety check, limit, a precision that the device lacks."
    print ".It 5"
    print "The device failed under way; jobs went back."
    print ".It 130, 143"
    print "Stopped by SIGINT, SIGTERM."
    print ".El"
    if (examples != "") {
        print ".Sh EXAMPLES"
        print ".Bd -literal"
        printf "%s", examples
        print ".Ed"
    }
    print ".Sh SEE ALSO"
    if (title == "ferret-broker")
        print ".Xr ferret 1 ,\n.Xr ferret-worker 1"
    else if (title == "ferret-worker")
        print ".Xr ferret 1 ,\n.Xr ferret-broker 1"
    else
        print ".Xr ferret 1 ,\n.Xr ferret-broker 1 ,\n.Xr ferret-worker 1"
}
