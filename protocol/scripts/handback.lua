-- ARGV: session, bye (0 or 1), ids. Jobs that were not begun go back to the head of their queue, without a mark. With bye
-- everything that is left goes back and the session ends. Answers how many went back.
local sid = ARGV[1]
local run = K .. 'run:' .. sid
local ids = {}
if ARGV[2] == '1' then
    ids = call('HKEYS', run) -- CLAIM keeps it to 512
else
    for i = 3, #ARGV do
        ids[#ids + 1] = ARGV[i]
    end
end
local n = 0
for i = 1, #ids do
    local row = call('HGET', run, ids[i])
    if row then
        local _, _, _, no, prio = run_row(row)
        local _, _, suspect = retry_row(call('HGET', K .. 'retry', ids[i]))
        call('HDEL', run, ids[i])
        give_back(ids[i], no, prio, suspect)
        move(no, 'running', 'ready', 1)
        n = n + 1
    end
end
if ARGV[2] == '1' then
    forget_session(sid)
end
return n
