-- ARGV: how many of each at most. Answers {{"ms|what|campaign"*}, {(ms, campaign or '' where it was purged, record)*}}: what
-- campaigns told last, the oldest first, and what failed for good last, the newest first.
local rows = call('LRANGE', K .. 'errs', -tonumber(ARGV[1]), -1)
local errors = {}
for i = #rows, 1, -1 do
    local ms, no, at = string.match(rows[i], '^(%d+)|(%d+)|()')
    local o = #errors
    errors[o + 1], errors[o + 2] = ms, call('HGET', K .. 'c:' .. no, 'name') or ''
    errors[o + 3] = string.sub(rows[i], at)
end
return {call('LRANGE', K .. 'events', -tonumber(ARGV[1]), -1), errors}
