//go:build !linux

package admission

import "time"

var began = time.Now()

// processorTime is the time that has passed, where the system tells no better.
func processorTime() time.Duration { return time.Since(began) }
