package pages_test

import (
	"flag"
	"testing"

	"roster/db/dbtest"
)

var long = flag.Bool("long", false, "walk in the browser through the pages of providers, invitations and administrators, too")

func TestMain(m *testing.M) { dbtest.Main(m) }
