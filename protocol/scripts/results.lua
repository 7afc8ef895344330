-- ARGV: campaign, cursor, how many at most, bytes at most, tenants. Records in the order in which jobs ended.
-- Answers {'missing'} | {next cursor, more (0 or 1), (id, record, cursor behind it)*}. A slot whose record is gone (its job
-- was put back, or is forgotten) is passed over.
local no = campaign_no(ARGV[1], ARGV[5])
if not no then
    return {'missing'}
end
local base = tonumber(call('HGET', K .. 'c:' .. no, 'base') or '0')
local list = K .. 'out:' .. no
local last = base + call('LLEN', list)
local at = math.min(math.max(tonumber(ARGV[2]), base), last)
local ids = call('LRANGE', list, at - base, at - base + tonumber(ARGV[3]) - 1)
local out, bytes, i = {0, 0}, 0, 1
while i <= #ids and bytes < tonumber(ARGV[4]) do
    local record = call('HGET', K .. 'res:' .. no, ids[i])
    if record then
        local o = #out
        out[o + 1], out[o + 2], out[o + 3] = string.sub(ids[i], 1, 16), record, at + i
        bytes = bytes + #record
    end
    i = i + 1
end
out[1] = at + i - 1
out[2] = last > out[1] and 1 or 0
return out
