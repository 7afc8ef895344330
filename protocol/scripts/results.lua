-- ARGV: campaign, cursor, how many at most, bytes at most. Records in the order in which jobs ended.
-- Answers {'missing'} | {next cursor, more (0 or 1), (id, record)*}.
local no = call('HGET', K .. 'camp', ARGV[1])
if not no then
    return {'missing'}
end
local base = tonumber(call('HGET', K .. 'c:' .. no, 'base') or '0')
local at = math.max(tonumber(ARGV[2]), base)
local list = K .. 'out:' .. no
local ids = call('LRANGE', list, at - base, at - base + tonumber(ARGV[3]) - 1)
local out, bytes, i = {0, 0}, 0, 1
while i <= #ids and bytes < tonumber(ARGV[4]) do
    local record = call('HGET', K .. 'res:' .. no, ids[i])
    if record then
        out[#out + 1], out[#out + 2] = ids[i], record
        bytes = bytes + #record
    end
    i = i + 1
end
out[1] = at + i - 1
out[2] = call('LLEN', list) > out[1] - base and 1 or 0
return out
