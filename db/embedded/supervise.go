package embedded

import (
	"context"
	"errors"
	"time"
)

const (
	minDelay = 100 * time.Millisecond
	maxDelay = 30 * time.Second
	// After a child that lived this long, the delays begin with minDelay again.
	wellAfter = time.Minute
)

// supervise keeps PostgreSQL running until ctx ends, and then stops it and unlocks
// the folder.
func (s *Server) supervise(ctx context.Context, p *process) {
	defer close(s.done)
	defer func() { s.err = errors.Join(s.err, s.release()) }()
	delay := minDelay
	for p != nil {
		born := time.Now()
		select {
		case <-ctx.Done():
			s.err = p.stop()
			return
		case <-p.exited:
		}
		if time.Since(born) > wellAfter {
			delay = minDelay
		}
		s.cluster.log.Warn("PostgreSQL has died; starting it again",
			"pid", p.pid(), "status", p.cmd.ProcessState.String(), "delay", delay)
		p, delay = s.revive(ctx, delay)
	}
}

// revive starts PostgreSQL again. It waits longer before each attempt, and also
// returns the delay for the next death. The process is nil if ctx has ended.
func (s *Server) revive(ctx context.Context, delay time.Duration) (*process, time.Duration) {
	for pause(ctx, delay) {
		delay = min(2*delay, maxDelay)
		p, err := s.cluster.run(ctx)
		if err == nil {
			s.pid.Store(int64(p.pid()))
			s.cluster.log.Info("PostgreSQL runs again", "pid", p.pid())
			return p, delay
		}
		if ctx.Err() == nil {
			s.cluster.log.Warn("PostgreSQL cannot be started again yet", "error", err, "delay", delay)
		}
	}
	return nil, delay
}

// pause waits for d and reports true, or false as soon as ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
