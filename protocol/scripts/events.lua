-- ARGV: cursor, tenants (others' campaigns are left out). What campaigns told from there on, 256 at most: {cursor behind the last one, more (0 or 1), "ms|what|name"*}.
-- The last 1,000 are kept: a cursor in front of them moves up.
local last = tonumber(call('HGET', K .. 'meta', 'events') or '0')
local n = call('LLEN', K .. 'events')
local at = math.min(math.max(tonumber(ARGV[1]), last - n), last)
local rows = call('LRANGE', K .. 'events', at - last + n, at - last + n + 255)
local out = {at + #rows, last > at + #rows and 1 or 0}
for i = 1, #rows do
    if (ARGV[2] or '') == '' or campaign_no(string.match(rows[i], '^%d+|%w+|(.*)$'), ARGV[2]) then
        out[#out + 1] = rows[i]
    end
end
return out
