// The asynq peer of `make bench`: `asynq produce KIND COUNT one|many|crowd [RATE]` and `asynq work`.
//
// Counts as the Python peers do (../programs/marks.py): a slot of (first start, last start, count) for no-op tasks, and
// one line per event for the others.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

const slotBytes = 24

func redis() asynq.RedisClientOpt {
	return asynq.RedisClientOpt{Addr: "127.0.0.1:" + os.Getenv("BENCH_PORT"), PoolSize: 120}
}

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

type counter struct {
	sync.Mutex
	first, last float64
	count       int64
}

func (c *counter) mark() {
	c.Lock()
	c.last = now()
	if c.count == 0 {
		c.first = c.last
	}
	c.count++
	c.Unlock()
}

// flush writes the slot every 20 ms, so that a task costs no system call.
func (c *counter) flush(slots *os.File) {
	slot := make([]byte, slotBytes)
	for range time.Tick(20 * time.Millisecond) {
		c.Lock()
		binary.LittleEndian.PutUint64(slot, math.Float64bits(c.first))
		binary.LittleEndian.PutUint64(slot[8:], math.Float64bits(c.last))
		binary.LittleEndian.PutUint64(slot[16:], uint64(c.count))
		c.Unlock()
		slots.WriteAt(slot, int64(os.Getpid()%4096*slotBytes))
	}
}

func arg(kind string, i int) []byte {
	var value any = i
	switch kind {
	case "latency":
		value = now()
	case "noop":
		value = map[string]any{"id": i, "email": "someone@example.org", "template": "welcome", "lang": "en_GB", "tags": []string{"a", "b"}}
	}
	encoded, err := json.Marshal(value)
	check(err)
	return encoded
}

func produce(kind string, count int, mode string, rate float64) {
	client := asynq.NewClient(redis())
	defer client.Close()
	send := func(i int) {
		_, err := client.Enqueue(asynq.NewTask(kind, arg(kind, i)))
		check(err)
	}
	warm := min(100, count/10)
	for i := range warm {
		send(i)
	}
	start := time.Now()
	if mode == "crowd" {
		var producers sync.WaitGroup
		for p := range 100 {
			producers.Go(func() {
				for i := warm + p; i < count; i += 100 {
					send(i)
				}
			})
		}
		producers.Wait()
	} else {
		for i := warm; i < count; i++ {
			if rate > 0 {
				time.Sleep(time.Until(start.Add(time.Duration(float64(i-warm) / rate * 1e9))))
			}
			send(i)
		}
	}
	fmt.Printf("{\"tasks\": %d, \"seconds\": %f}\n", count-warm, time.Since(start).Seconds())
}

func work() {
	folder := os.Getenv("BENCH_FOLDER")
	slots, err := os.OpenFile(folder+"/slots", os.O_RDWR, 0)
	check(err)
	log, err := os.OpenFile(folder+"/log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	check(err)
	tasks := &counter{}
	go tasks.flush(slots)
	mux := asynq.NewServeMux()
	mux.HandleFunc("noop", func(context.Context, *asynq.Task) error { tasks.mark(); return nil })
	mux.HandleFunc("latency", func(_ context.Context, t *asynq.Task) error {
		sent, err := strconv.ParseFloat(string(t.Payload()), 64)
		fmt.Fprintf(log, "L %f\n", now()-sent)
		return err
	})
	mux.HandleFunc("sleep", func(context.Context, *asynq.Task) error { time.Sleep(50 * time.Millisecond); tasks.mark(); return nil })
	mux.HandleFunc("crash", func(_ context.Context, t *asynq.Task) error {
		fmt.Fprintf(log, "S %s %f %d\n", t.Payload(), now(), os.Getpid())
		time.Sleep(200 * time.Millisecond)
		fmt.Fprintf(log, "E %s %f %d\n", t.Payload(), now(), os.Getpid())
		return nil
	})
	concurrency, err := strconv.Atoi(os.Getenv("BENCH_CONCURRENCY"))
	check(err)
	server := asynq.NewServer(redis(), asynq.Config{Concurrency: concurrency, LogLevel: asynq.ErrorLevel})
	check(server.Start(mux))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	server.Shutdown()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if os.Args[1] == "work" {
		work()
		return
	}
	count, err := strconv.Atoi(os.Args[3])
	check(err)
	rate := 0.0
	if len(os.Args) > 5 {
		rate, err = strconv.ParseFloat(os.Args[5], 64)
		check(err)
	}
	produce(os.Args[2], count, os.Args[4], rate)
}
