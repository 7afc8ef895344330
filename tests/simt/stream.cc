#include "tests/simt/stream.cuh"
#include "tests/simt/memory.cuh"

#include <algorithm>
#include <deque>
#include <map>

namespace simt
{

/* What a capture has kept: run reads host memory when it runs, at_launch says what a launch means for it. */
struct graph {
    struct item {
        const char *what;
        std::function<void()> at_launch, run;
    };
    std::vector<item> items;
    bool spoilt = false;
};

namespace
{

struct event {
    uint64_t recorded = 0, done = 0; /* numbers of records */
};

struct task {
    const char *what;
    std::function<void()> run;
    event *waits_for, *records;
    uint64_t number;
};

struct stream {
    std::deque<task> tasks;
    uint64_t pushed = 0, ran = 0;
    graph *captured = nullptr;
};

struct queues {
    std::vector<stream *> streams;
    std::map<const void *, size_t> shared;
    uint64_t random = 0;
    bool seeded = false;
};
queues &all()
{
    static queues q;
    return q;
}

stream *find(cudaStream_t s)
{
    auto *ours = reinterpret_cast<stream *>(s);
    if (std::find(all().streams.begin(), all().streams.end(), ours) == all().streams.end())
        die("a stream that is not one of ours: the default stream waits for all others, use one of your own");
    return ours;
}

bool runnable(const stream *s)
{
    return !s->tasks.empty() &&
           (!s->tasks.front().waits_for || s->tasks.front().waits_for->done >= s->tasks.front().number);
}

void run_head(stream *s)
{
    task t = std::move(s->tasks.front());
    s->tasks.pop_front();
    if (t.run) {
        t.run();
        device_check(t.what);
    }
    if (t.records)
        t.records->done = t.number;
    s->ran++;
}

void advance(stream *s);

/* Runs the stream that holds a record, up to it. */
void advance_to(const event *e, uint64_t number)
{
    for (stream *s : all().streams)
        for (const task &t : s->tasks)
            if (t.records == e && t.number >= number)
                return advance(s);
    die("a wait for a record that nobody holds");
}

void advance(stream *s)
{
    if (runnable(s))
        return run_head(s);
    advance_to(s->tasks.front().waits_for, s->tasks.front().number);
}

/* With a seed, work of other streams is mixed in that nobody asked for. */
void mix()
{
    queues &q = all();
    if (config().seed == 0)
        return;
    if (!q.seeded)
        q.random = config().seed;
    q.seeded = true;
    for (;;) {
        q.random = q.random * 6364136223846793005u + 1442695040888963407u;
        auto draw = static_cast<uint32_t>(q.random >> 33);
        if (draw & 1)
            return;
        stream *other = q.streams[(draw >> 1) % q.streams.size()];
        if (runnable(other))
            run_head(other);
    }
}

template <class Done, class Step> void run_until(Done done, Step step)
{
    device_open();
    while (!done()) {
        mix();
        if (!done())
            step();
    }
    device_close();
}

} // namespace

void stream_push(cudaStream_t stream_handle, const char *what, std::function<void()> run)
{
    stream *s = find(stream_handle);
    if (s->captured) {
        s->captured->items.push_back({what, nullptr, std::move(run)});
        return;
    }
    s->tasks.push_back({what, std::move(run), nullptr, nullptr, 0});
    s->pushed++;
}

bool capture_begin(cudaStream_t handle)
{
    stream *s = find(handle);
    if (s->captured)
        return false;
    s->captured = new graph();
    return true;
}

graph *capture_end(cudaStream_t handle)
{
    stream *s = find(handle);
    graph *g = s->captured;
    s->captured = nullptr;
    if (g && g->spoilt) {
        delete g;
        return nullptr;
    }
    return g;
}

bool capturing(cudaStream_t handle)
{
    return find(handle)->captured != nullptr;
}

bool capture_forbids()
{
    bool any = false;
    for (stream *s : all().streams)
        if (s->captured)
            any = s->captured->spoilt = true;
    return any;
}

void stream_push_captured(cudaStream_t handle, const char *what, std::function<void()> at_launch,
                          std::function<void()> run)
{
    find(handle)->captured->items.push_back({what, std::move(at_launch), std::move(run)});
}

size_t graph_size(const graph *g)
{
    return g->items.size();
}

graph *graph_copy(const graph *g)
{
    return new graph(*g);
}

void graph_free(graph *g)
{
    delete g;
}

void graph_launch(const graph *g, cudaStream_t s)
{
    for (const graph::item &i : g->items) {
        if (i.at_launch)
            i.at_launch();
        stream_push(s, i.what, i.run);
    }
}

bool work_is_queued()
{
    for (const stream *s : all().streams)
        if (!s->tasks.empty())
            return true;
    return false;
}

cudaStream_t stream_new()
{
    all().streams.push_back(new stream());
    return reinterpret_cast<cudaStream_t>(all().streams.back());
}

bool stream_end(cudaStream_t handle)
{
    stream *s = find(handle);
    stream_drain(handle);
    auto &streams = all().streams;
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return true;
}

void stream_drain(cudaStream_t handle)
{
    stream *s = find(handle);
    uint64_t until = s->pushed;
    run_until([&] { return s->ran >= until; }, [&] { advance(s); });
}

void stream_drain_all()
{
    for (stream *s : all().streams)
        stream_drain(reinterpret_cast<cudaStream_t>(s));
}

bool stream_poll(cudaStream_t handle)
{
    stream *s = find(handle);
    if (s->tasks.empty())
        return true;
    device_open();
    advance(s);
    device_close();
    return s->tasks.empty();
}

cudaEvent_t event_new()
{
    return reinterpret_cast<cudaEvent_t>(new event());
}

void event_free(cudaEvent_t e)
{
    event_drain(e);
    delete reinterpret_cast<event *>(e);
}

void event_record(cudaEvent_t handle, cudaStream_t stream_handle)
{
    auto *e = reinterpret_cast<event *>(handle);
    stream *s = find(stream_handle);
    if (s->captured)
        die("an event's record is captured, which is not emulated");
    s->tasks.push_back({"an event's record", nullptr, nullptr, e, ++e->recorded});
    s->pushed++;
}

void event_wait(cudaEvent_t handle, cudaStream_t stream_handle)
{
    auto *e = reinterpret_cast<event *>(handle);
    stream *s = find(stream_handle);
    if (s->captured)
        die("a wait for an event is captured, which is not emulated");
    s->tasks.push_back({"a wait for an event", nullptr, e, nullptr, e->recorded});
    s->pushed++;
}

void event_drain(cudaEvent_t handle)
{
    auto *e = reinterpret_cast<event *>(handle);
    uint64_t until = e->recorded;
    run_until([&] { return e->done >= until; }, [&] { advance_to(e, until); });
}

bool event_poll(cudaEvent_t handle)
{
    auto *e = reinterpret_cast<event *>(handle);
    if (e->done >= e->recorded)
        return true;
    device_open();
    advance_to(e, e->recorded);
    device_close();
    return e->done >= e->recorded;
}

void allow_shared(const void *kernel, size_t bytes)
{
    all().shared[kernel] = bytes;
}

size_t allowed_shared(const void *kernel)
{
    auto found = all().shared.find(kernel);
    return found == all().shared.end() ? static_cast<size_t>(SHARED_DEFAULT) : found->second;
}

bool plain_device_pointer(const void *p)
{
    return !p || device_owns(p, 1);
}

} // namespace simt
