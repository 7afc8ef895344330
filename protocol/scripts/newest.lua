-- ARGV: campaign, how many at most, bytes at most. Its row and its newest records, the newest first.
-- Answers {'missing'} | {row, record*}.
local no = call('HGET', K .. 'camp', ARGV[1])
if not no then
    return {'missing'}
end
local ids = call('LRANGE', K .. 'out:' .. no, -tonumber(ARGV[2]), -1)
local out, bytes = {campaign_row(no, class_workers(), nil)}, 0
for i = #ids, 1, -1 do
    local record = call('HGET', K .. 'res:' .. no, ids[i])
    bytes = bytes + (record and #record or 0)
    if bytes > tonumber(ARGV[3]) then
        break
    end
    out[#out + 1] = record
end
return out
