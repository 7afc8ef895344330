-- ARGV: campaign, cursor (0 first), how many at most, about, bytes at most, tenants. What failed for good and is kept with its job.
-- Answers {'missing'} | {next cursor, more (0 or 1), (id, record, 0)*}; a record is '' where it was taken out or finds no
-- room.
local no = campaign_no(ARGV[1], ARGV[5])
if not no then
    return {'missing'}
end
local page = call('HSCAN', K .. 'dead:' .. no, ARGV[2], 'COUNT', ARGV[3])
local out, bytes = {page[1], page[1] == '0' and 0 or 1}, 0
for i = 1, #page[2], 2 do
    local id, o = page[2][i], #out
    local record = call('HGET', K .. 'res:' .. no, id .. (call('HGET', K .. 'again:' .. no, id) or '')) or ''
    bytes = bytes + #record
    out[o + 1], out[o + 2], out[o + 3] = id, bytes <= tonumber(ARGV[4]) and record or '', 0
end
return out
