-- Jobs given up on that still lack a record, 16 at most: (id, reason, body)*. A broker writes the record and calls bury.
local rows = call('HRANDFIELD', K .. 'doom', 16, 'WITHVALUES')
local out = {}
for i = 1, #rows, 2 do
    local stored = call('HGET', K .. 'job', rows[i])
    local _, _, _, _, _, at = head(stored)
    local o = #out
    out[o + 1], out[o + 2], out[o + 3] = rows[i], rows[i + 1], string.sub(stored, at)
end
return out
