# Texts in mdoc(7), for page.awk and overview.awk.

# No character of a text may be read as markup: backslashes, a quote or a full stop in front, and words that mdoc knows.
function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/`/, "\\(ga", text)
    gsub(/'/, "\\(aq", text)
    gsub(/"/, "\\(dq", text)
    return text
}
# A line of text; one that begins with a dot or a quote must not be a request.
function paragraph(text) {
    text = plain(text)
    if (text ~ /^[.]/ || text ~ /^\\\(aq/)
        text = "\\&" text
    # Each sentence begins a line, as mdoc wants it, and none is long.
    n = split(text, words, " ")
    line = words[1]
    for (i = 2; i <= n; i++) {
        if (line ~ /[.]$/ || length(line) + length(words[i]) > 76) {
            print line
            line = (words[i] ~ /^[.]/ ? "\\&" : "") words[i]
        } else
            line = line " " words[i]
    }
    print line
}
function capital(text) { return toupper(substr(text, 1, 1)) substr(text, 2) }
# A word of a macro line, so that it is no macro itself.
function word(text) { return "\\&" plain(text) }
