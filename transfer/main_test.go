package transfer_test

import (
	"testing"

	"roster/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
