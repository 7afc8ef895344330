-- ARGV: who asks, for how many ms. One of the brokers tells the queue's numbers, so that sums over brokers are true: who has
-- the post keeps it as long as it asks again in time. Answers 1: the one who asks, or 0.
local now, post = now_ms(), K .. 'speaker'
local who, till = string.match(call('GET', post) or '', '^(%x+)|(%d+)$')
if who and who ~= ARGV[1] and tonumber(till) > now then
    return 0
end
call('SET', post, string.format('%s|%.0f', ARGV[1], now + tonumber(ARGV[2])))
return 1
