-- ARGV: campaign, cursor (0 first), how many at most, about, bytes (not used), tenants. Jobs that failed for good wait again, in the order of a hash.
-- Answers {'missing'} | {'cancelled'} | {next cursor (0: all seen), how many went back}.
local no = campaign_no(ARGV[1], ARGV[5])
if not no then
    return {'missing'}
elseif call('HGET', K .. 'c:' .. no, 'state') == 'cancelled' then
    return {'cancelled'}
end
local page = call('HSCAN', K .. 'dead:' .. no, ARGV[2], 'COUNT', ARGV[3])
local n = 0
for i = 1, #page[2], 2 do
    n = n + (requeue(no, page[2][i], page[2][i + 1]) and 1 or 0)
end
return {page[1], n}
