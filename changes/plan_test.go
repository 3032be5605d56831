package changes_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
)

// fill writes a log of transactions with n changes each.
func fill(t testing.TB, d *db.DB, transactions, n int) {
	t.Helper()
	texts := []string{
		// This uses up numbers of transactions, so that those in the log lie in the past.
		"create table burnt ()",
		fmt.Sprintf(`do $$ begin
			for i in 1..%d loop
				begin insert into burnt default values; exception when others then raise; end;
			end loop; end $$`, transactions),
	}
	const part = 50_000 // takes less than the statement timeout
	for first := 0; first < transactions*n; first += part {
		texts = append(texts, fmt.Sprintf(`insert into changes (id, xid, actor, action, subject, before, after)
			select gen_random_uuid(), (3 + i / %d)::text::xid8, 'user_01', 'membership.updated', 'member_' || i,
				'{"status": "ACTIVE", "name": "something of a common length"}', '{"status": "SUSPENDED"}'
			from generate_series(%d, %d) as i`, n, first, min(first+part, transactions*n)-1))
	}
	for _, text := range texts {
		if _, err := d.ExecContext(context.Background(), text); err != nil {
			t.Fatal(err)
		}
	}
}

var touched = regexp.MustCompile(`Buffers: shared hit=(\d+)`)

// A step reads its rows by the index on xid, whatever the planner knows of the table.
func TestStepReadsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	for _, shape := range []struct{ transactions, changes int }{{20_000, 1}, {2, 10_000}} {
		for _, analyzed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d transactions, analyzed %v", shape.transactions, analyzed), func(t *testing.T) {
				t.Parallel()
				d := dbtest.New(t)
				fill(t, d, shape.transactions, shape.changes)
				if analyzed {
					if _, err := d.ExecContext(t.Context(), "analyze changes"); err != nil {
						t.Fatal(err)
					}
				}
				open := begin(t, d)
				record(t, open, "open")
				record(t, d, "old")
				position := here(t, d)
				record(t, d, "new")
				commit(t, open)
				for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
					checkPlan(t, d, mode, position)
				}
			})
		}
	}
}

func checkPlan(t *testing.T, d *db.DB, mode string, position changes.Revision) {
	t.Helper()
	conn, err := d.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(t.Context(), "set plan_cache_mode = "+mode+`;
		prepare step (pg_snapshot, bigint) as `+changes.Since+`;
		explain (analyze, buffers) execute step ('`+position.String()+"', 10001)").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var plan string
	for _, row := range results[2].Rows {
		plan += string(row[0]) + "\n"
	}
	buffers := touched.FindStringSubmatch(plan)
	if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "changes_xid") || buffers == nil {
		t.Fatalf("%s: the plan is\n%s", mode, plan)
	}
	if pages, _ := strconv.Atoi(buffers[1]); pages > 40 {
		t.Errorf("%s: %d pages were read\n%s", mode, pages, plan)
	}
	if !strings.Contains(plan, "rows=2 loops=1") {
		t.Errorf("%s: not the two new rows\n%s", mode, plan)
	}
}

// BenchmarkStep measures a step of an idle follower, with up to a million changes in the
// log and a transaction that stays open.
func BenchmarkStep(b *testing.B) {
	for _, size := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d changes", size*1000), func(b *testing.B) {
			d := dbtest.New(b)
			open := begin(b, d)
			record(b, open, "open")
			fill(b, d, size, 1000)
			position := here(b, d)
			for b.Loop() {
				if _, _, all, err := changes.ReadSince(b.Context(), d, position, 10_001); err != nil || len(all) != 0 {
					b.Fatal(all, err)
				}
			}
		})
	}
}

// BenchmarkFullStep measures a step with as many changes as it may deliver, and one with
// so many that a Reset follows, as after an import.
func BenchmarkFullStep(b *testing.B) {
	for _, size := range []int{10, 300} {
		b.Run(fmt.Sprintf("%d changes", size*1000), func(b *testing.B) {
			d := dbtest.New(b)
			fill(b, d, 1, size*1000)
			beginning, err := changes.ParseRevision("1:1:")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				_, _, all, err := changes.ReadSince(b.Context(), d, beginning, 10_001)
				if err != nil || len(all) != min(10_001, size*1000) {
					b.Fatal(len(all), err)
				}
			}
		})
	}
}
