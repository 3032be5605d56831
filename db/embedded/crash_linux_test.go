package embedded_test

import (
	"fmt"
	"os"
	"testing"
)

// PostgreSQL ends even if no other Roster is started.
func TestKilledRosterLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t).withCluster()
	h := b.startHelper(os.Args[0], nil)
	h.kill()
	eventually(t, func() error {
		// A process that init has not collected yet has no working folder.
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", h.postgres)); err == nil {
			return fmt.Errorf("process %d still runs", h.postgres)
		}
		return nil
	})
	b.wantNobodyIn()
}
