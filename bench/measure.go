package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// measurement measures queries.
type measurement struct {
	options
	postgres int // process id
}

// side is one server in the measurement of one query.
type side struct {
	*process
	requests [][]byte
	turns    []load
	used     stats         // in all turns
	postgres time.Duration // CPU of the database in all turns
}

// result is the measurement of one query.
type result struct {
	query
	plain, roster *side
}

// measure sends load to both servers in turns.
func (m measurement) measure(ctx context.Context, q query, all *cases, plain, roster *process) (*result, error) {
	if q.connections > 0 {
		m.connections = q.connections
	}
	r := &result{query: q, plain: &side{process: plain}, roster: &side{process: roster}}
	for _, s := range []*side{r.plain, r.roster} {
		for _, v := range q.cases(all) {
			s.requests = append(s.requests, s.request(q, v))
		}
		// Warm connections, plans and caches before the measurement.
		if _, err := generate(ctx, s.addr, s.requests, m.connections, m.duration/2); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", q.name, s.name, err)
		}
	}
	for range m.rounds {
		for _, s := range []*side{r.plain, r.roster} {
			if err := m.turn(ctx, s); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", q.name, s.name, err)
			}
		}
	}
	return r, nil
}

// turn sends load to one server, and adds what it used.
func (m measurement) turn(ctx context.Context, s *side) error {
	before, err := s.stats(ctx)
	if err != nil {
		return err
	}
	database := postgresCPU(m.postgres)
	done, err := generate(ctx, s.addr, s.requests, m.connections, m.duration)
	if err != nil {
		return err
	}
	s.turns = append(s.turns, done)
	s.postgres += postgresCPU(m.postgres) - database
	after, err := s.stats(ctx)
	s.used.Statements += after.Statements - before.Statements
	s.used.Allocations += after.Allocations - before.Allocations
	s.used.Bytes += after.Bytes - before.Bytes
	s.used.CPU += after.CPU - before.CPU
	return err
}

// perRequest divides the total of all turns by the number of requests.
func (s *side) perRequest(total int64) float64 {
	var requests int64
	for _, turn := range s.turns {
		requests += turn.requests
	}
	return float64(total) / float64(requests)
}

func (s *side) size() float64 {
	var bytes int64
	for _, turn := range s.turns {
		bytes += turn.bytes
	}
	return s.perRequest(bytes)
}

func (s *side) rate() float64 {
	rates := make([]float64, len(s.turns))
	for i, turn := range s.turns {
		rates[i] = turn.perSecond()
	}
	return median(rates)
}

// ratios returns the ratio of each pair of successive turns, sorted.
func (r *result) ratios() []float64 {
	ratios := make([]float64, len(r.roster.turns))
	for i := range ratios {
		ratios[i] = r.roster.turns[i].perSecond() / r.plain.turns[i].perSecond()
	}
	slices.Sort(ratios)
	return ratios
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func printHead(out io.Writer) {
	fmt.Fprintln(out, "                 ratio of requests per second          requests/s   CPU of one request, µs       of one request")
	fmt.Fprintln(out, "query    server  median   least – most                              server   PostgreSQL   statements   allocations   kB allocated   answer, bytes")
}

func (r *result) print(out io.Writer) {
	ratios := r.ratios()
	fmt.Fprintf(out, "%-8s roster   %5.2f   %5.2f – %-5.2f", r.name, median(ratios), ratios[0], ratios[len(ratios)-1])
	r.roster.print(out)
	if r.answers > 0 {
		fmt.Fprintf(out, "   %.0f checks/s", r.roster.rate()*float64(r.answers))
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "%-8s plain    %5.2f   %13s", "", 1.0, "")
	r.plain.print(out)
	fmt.Fprintln(out)
}

func (s *side) print(out io.Writer) {
	micro := func(d time.Duration) float64 { return s.perRequest(d.Nanoseconds()) / 1000 }
	fmt.Fprintf(out, " %26.0f %14.0f %12.0f %12.2f %13.0f %14.1f %15.0f", s.rate(), micro(s.used.CPU), micro(s.postgres),
		s.perRequest(s.used.Statements), s.perRequest(s.used.Allocations), s.perRequest(s.used.Bytes)/1024, s.size())
}
