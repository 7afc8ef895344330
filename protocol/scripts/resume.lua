-- ARGV: session, sequence number, bytes an answer may have, ids the worker knows of. Fences older CLAIMs and hands out
-- again what the session owns without knowing it.
-- Answers {'gone'} | {'ok', more (0 or 1), known ids that it does not own, one behind another, (id, its row of ownership, its
-- stored job)*}.
local sid, max_bytes = ARGV[1], tonumber(ARGV[3])
if not call('ZSCORE', K .. 'sess', sid) then
    return {'gone'}
end
if tonumber(call('HGET', K .. 'cseq', sid) or '0') < tonumber(ARGV[2]) then
    call('HSET', K .. 'cseq', sid, ARGV[2])
end
local run = K .. 'run:' .. sid
local rows = call('HGETALL', run) -- CLAIM keeps it to 512
local owned, known, lost = {}, {}, {}
for i = 1, #rows, 2 do
    owned[rows[i]] = true
end
for i = 4, #ARGV do
    known[ARGV[i]] = true
    if not owned[ARGV[i]] then
        lost[#lost + 1] = ARGV[i]
    end
end
local out, bytes, more = {}, 0, 0
for i = 1, #rows, 2 do
    local id = rows[i]
    if not known[id] and bytes >= max_bytes then
        more = 1
    elseif not known[id] then
        local stored = call('HGET', K .. 'job', id)
        local o = #out
        out[o + 1], out[o + 2], out[o + 3] = id, rows[i + 1], stored
        bytes = bytes + #stored
    end
end
return {'ok', more, table.concat(lost), unpack(out)}
