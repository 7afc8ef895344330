-- ARGV: campaign, cursor, how many at most, tenants. Records in front of the cursor go; their ids stay known.
-- Answers {'missing'} | {first cursor that is left, more (0 or 1)}.
local no = campaign_no(ARGV[1], ARGV[4])
if not no then
    return {'missing'}
end
local c = K .. 'c:' .. no
local base = tonumber(call('HGET', c, 'base') or '0')
local n = math.min(tonumber(ARGV[2]) - base, tonumber(ARGV[3]))
if n <= 0 then
    return {base, 0}
end
local ids = call('LPOP', K .. 'out:' .. no, n) or {}
if #ids > 0 then
    local bytes = 0
    for i = 1, #ids do
        bytes = bytes + call('HSTRLEN', K .. 'res:' .. no, ids[i])
    end
    hold(no, -bytes)
    call('HDEL', K .. 'res:' .. no, unpack(ids))
    base = call('HINCRBY', c, 'base', #ids)
end
return {base, #ids == n and base < tonumber(ARGV[2]) and 1 or 0}
