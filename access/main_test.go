package access_test

import (
	"flag"
	"testing"

	"roster/db/dbtest"
)

var long = flag.Bool("long", false, "record histories of a minute each, in place of some seconds")

func TestMain(m *testing.M) { dbtest.Main(m) }
