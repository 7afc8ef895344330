# Reads `nvdisasm -c`, whose functions begin with "@ NAME" here, and prints, for each innermost loop of each kernel, what its instructions are: tensor-core products,
# ldmatrix, asynchronous copies, loads of 16 bytes and narrower ones from device memory, local memory (spills), all.
# A loop is what lies between a label and a branch back to it with no other such branch inside.
#   awk -v source=FILE -v arch=sm_90 -f sass_loops.awk
function label_of(line)
{
    sub(/.*`\(/, "", line)
    sub(/\).*/, "", line)
    return line
}
function kind_of(op)
{
    if (op ~ /^(HMMA|IMMA|QMMA|HGMMA|OMMA)/) return "mma"
    if (op ~ /^LDSM/) return "ldsm"
    if (op ~ /^LDGSTS/) return "async"
    if (op ~ /^LDG.*\.128/) return "wide"
    if (op ~ /^(LDG|LD)(\.|$)/) return "narrow"
    if (op ~ /^(LDL|STL)/) return "local"
    return ""
}
function show(from, to,    i, n, k)
{
    delete n
    for (i = from; i < to; i++)
        if ((k = kind_of(ops[i])) != "") n[k]++
    if (n["mma"] + n["async"] + n["wide"] + n["local"] > 0)
        printf "%-18s %-34s %-6s %6d %6d %6d %6d %6d %6d %7d\n", source, name, arch, n["mma"], n["ldsm"], n["async"], n["wide"], n["narrow"], n["local"], to - from
}
BEGIN {
    if (header)
        printf "%-18s %-34s %-6s %6s %6s %6s %6s %6s %6s %7s\n", "source", "inner loop of", "arch", "mma", "ldsm", "async", "16byte", "loads", "local", "all"
}
/^@ / {
    name = substr($0, 3)
    sub(/^void /, "", name)
    gsub(/\(anonymous namespace\)::/, "", name)
    gsub(/\([a-z_0-9]+\)/, "", name)
    sub(/\(.*/, "", name)
    count = last = 0
    delete at
}
/^\.L_/ { label = $1; sub(/:$/, "", label); at[label] = count }
/^ *(\/\*[0-9a-f]+\*\/)/ {
    line = $0
    gsub(/\/\*[0-9a-fx]+\*\//, "", line)
    sub(/^ *(@!?U?P[0-9T]+ +)?/, "", line)
    split(line, words, /[ ;]/)
    ops[count++] = words[1]
    if (words[1] ~ /^BRA/ && line ~ /`\(/) {
        back = label_of(line)
        # The first branch back closes an innermost loop; one that reaches in front of it closes an outer one.
        if (back in at && at[back] >= last) {
            show(at[back], count)
            last = count
        }
    }
}
