package transfer

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/directory"
	"roster/problem"
)

// chunkRows is how many rows are put in at a time. A chunk is one transaction: others wait for
// what it locks, and see all of it or nothing.
const chunkRows = 250

// stagedRow is a row that waits to be put in.
type stagedRow struct {
	Number int
	Person string
}

// plannedRow is what a row was to become.
type plannedRow struct {
	Number  int
	Outcome db.ImportOutcome
}

// apply puts the next chunk in, or ends the import.
func (j *job) apply(ctx context.Context, im *db.Import) error {
	if im.RowsDone >= im.RowsTotal {
		if err := j.end(ctx, db.ImportApplying, db.ImportApplied); err != nil {
			return err
		}
		return errNotOurs
	}
	last := im.RowsDone + j.size
	if err := j.inChunks(ctx, j.putChunk); err != nil {
		return err
	}
	return j.renewPlans(ctx, im.RowsDone, last)
}

// inChunks carries out a chunk of j.size rows. If something that one of them does is refused,
// the next chunks are smaller, down to that row alone: then chunk is told why it is refused.
func (j *job) inChunks(ctx context.Context, chunk func(ctx context.Context, refused error) error) error {
	err := j.Directory.Writer.Atomically(ctx, func(ctx context.Context) error { return chunk(ctx, nil) })
	switch {
	case err == nil:
		j.size = min(2*j.size, chunkRows)
		return nil
	case !isOver(err) || isOfAuthority(err):
		return err
	case j.size > 1:
		j.size /= 2
		return nil
	}
	refused := err
	return j.Directory.Writer.Atomically(ctx, func(ctx context.Context) error { return chunk(ctx, refused) })
}

// renewPlans has PostgreSQL look at the tables again when the rows that are in effect, which
// were so many before, have become 1,000, and each time that they have become four times as
// many. It keeps plans, and those that it made for small tables read all of a table for each
// look-up, also of others. On its own, it looks a minute later.
func (j *job) renewPlans(ctx context.Context, before, now int) error {
	size := 1000
	for 4*size <= now {
		size *= 4
	}
	if before >= size || now < size {
		return nil
	}
	small, err := db.SelectOne[bool](ctx, j.Database, "select reltuples < $1 from pg_class where oid = 'users'::regclass", size)
	if err != nil || !*small {
		return err
	}
	_, err = j.unrecorded(ctx).NewRaw("analyze users, identities, passwords, memberships, membership_roles, membership_permissions").Exec(ctx)
	return err
}

// isOfAuthority reports whether the actor may not go on, whichever row is next.
func isOfAuthority(err error) bool {
	for _, kind := range []problem.Kind{problem.Forbidden, problem.Unauthenticated, problem.Escalation} {
		if problem.Is(err, kind) {
			return true
		}
	}
	return false
}

// putChunk puts the next rows in, in the transaction of ctx. If refused is not nil, it is what
// keeps the one row of the chunk out.
func (j *job) putChunk(ctx context.Context, refused error) error {
	im, err := j.hold(ctx, db.ImportApplying)
	if err != nil {
		return err
	}
	last := min(im.RowsDone+j.size, im.RowsTotal)
	var b db.Batch
	staged := db.Queue[stagedRow](&b, `with taken as (delete from import_people where import_id = $1 and number > $2 and number <= $3 returning number, person)
		select number, person from taken order by number`, j.id, im.RowsDone, last)
	planned := db.Queue[plannedRow](&b, "select number, outcome from import_rows where import_id = $1 and number > $2 and number <= $3 and outcome in ('CREATE', 'UPDATE')", j.id, im.RowsDone, last)
	if err := j.Database.Run(ctx, &b); err != nil {
		return err
	}
	results, err := j.putIn(ctx, im, staged.All, refused)
	if err != nil {
		return err
	}
	return j.noteChunk(ctx, last, planned.All, results)
}

// chunkResults are what has become of the rows of a chunk, by their numbers.
type chunkResults struct {
	arrived map[int]directory.Arrived
	// organizations are those that rows have made or renamed. Of several rows of people that
	// name a new one, the first has made it.
	organizations map[int]db.OrganizationID
}

// putIn puts the people, or organizations, of staged rows in, and returns what has become of
// each row.
func (j *job) putIn(ctx context.Context, im *db.Import, staged []stagedRow, refused error) (*chunkResults, error) {
	results := &chunkResults{make(map[int]directory.Arrived, len(staged)), map[int]db.OrganizationID{}}
	if refused != nil {
		for _, s := range staged {
			results.arrived[s.Number] = directory.Arrived{Outcome: db.ImportFail, Faults: refusedFaults(refused)}
		}
		return results, nil
	}
	var arrivals []*directory.Arrival
	var numbers []int
	for _, s := range staged {
		if org, err := organizationIn(s.Person); org != nil || err != nil {
			if err == nil {
				err = j.putOrganization(ctx, org, s.Number, results)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		a := &directory.Arrival{}
		if err := json.Unmarshal([]byte(s.Person), a); err != nil {
			return nil, err
		}
		arrivals, numbers = append(arrivals, a), append(numbers, s.Number)
	}
	if len(arrivals) == 0 {
		return results, nil
	}
	if err := j.makeOrganizations(ctx, arrivals, numbers, results); err != nil {
		return nil, err
	}
	arrived, err := j.Directory.Arrive(ctx, arrivals, directory.OnConflict(im.OnConflict))
	for i := range arrived {
		results.arrived[numbers[i]] = arrived[i]
	}
	return results, err
}

// refusedFaults returns what is wrong with a row that a rule of the whole directory refuses,
// such as the one of the last administrator.
func refusedFaults(refused error) []directory.ArrivalFault {
	var faults []directory.ArrivalFault
	for _, p := range problem.All(refused) {
		faults = append(faults, directory.ArrivalFault{Code: string(p.Kind), Message: p.Message})
	}
	return faults
}

// noteChunk notes that the rows up to last are in effect, and what has become of those for
// which that is not what was planned.
func (j *job) noteChunk(ctx context.Context, last int, planned []plannedRow, results *chunkResults) error {
	var counts tally
	var numbers []int
	var outcomes []string
	var users []*db.UserID
	var errs, warnings []*string
	for _, p := range planned {
		result, waited := results.arrived[p.Number]
		if !waited {
			result = directory.Arrived{Outcome: db.ImportFail, Faults: []directory.ArrivalFault{{Code: string(problem.Conflict), Message: "The user was deleted after the file was read."}}}
		}
		if result.Outcome == p.Outcome && len(result.Warnings) == 0 {
			continue
		}
		counts.add(p.Outcome, -1)
		counts.add(result.Outcome, 1)
		r := &row{}
		r.settle(result, asTheyAre)
		numbers, outcomes, users = append(numbers, p.Number), append(outcomes, string(result.Outcome)), append(users, r.report.UserID)
		errs, warnings = append(errs, faultsText(r.errors)), append(warnings, faultsText(r.warnings))
	}
	var b db.Batch
	if len(numbers) > 0 {
		b.Exec(`update import_rows r set outcome = n.outcome, user_id = n.user_id, errors = n.errors::jsonb, warnings = nullif(coalesce(r.warnings, '[]') || coalesce(n.warnings::jsonb, '[]'), '[]')
			from unnest($2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::text[]) n (number, outcome, user_id, errors, warnings) where r.import_id = $1 and r.number = n.number`,
			j.id, numbers, outcomes, users, errs, warnings)
	}
	if len(results.organizations) > 0 {
		rows := slices.Collect(maps.Keys(results.organizations))
		organizations := make([]db.OrganizationID, len(rows))
		for i, number := range rows {
			organizations[i] = results.organizations[number]
		}
		b.Exec("update import_rows r set org_id = n.org_id from unnest($2::bigint[], $3::uuid[]) n (number, org_id) where r.import_id = $1 and r.number = n.number", j.id, rows, organizations)
	}
	b.Exec("update imports set rows_done = $2, creates = creates + $3, updates = updates + $4, skips = skips + $5, failures = failures + $6 where id = $1",
		j.id, last, counts.creates, counts.updates, counts.skips, counts.failures)
	return j.Database.Run(ctx, &b)
}

// makeOrganizations makes the organizations that people are to join and that are still to be
// made, each with its external id as its name. The people come with the rows of these numbers.
func (j *job) makeOrganizations(ctx context.Context, arrivals []*directory.Arrival, numbers []int, results *chunkResults) error {
	wanted := map[string]int{} // by the row that names it first
	for i, a := range arrivals {
		for _, place := range a.Places {
			if _, named := wanted[place.Make]; !named && place.Make != "" && place.Organization.IsZero() {
				wanted[place.Make] = numbers[i]
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(wanted)) // so that two imports of the same names take turns
	there, err := j.Directory.OrganizationsNamed(ctx, names)
	if err != nil {
		return err
	}
	made := make(map[string]db.OrganizationID, len(wanted))
	for _, name := range names {
		if made[name] = there[name]; !made[name].IsZero() {
			continue
		}
		org, err := j.Directory.CreateOrganization(ctx, directory.CreateOrganizationInput{Name: name, ExternalID: &name})
		if err != nil {
			return err
		}
		made[name], results.organizations[wanted[name]] = org.ID, org.ID
	}
	for i := range arrivals {
		for k := range arrivals[i].Places {
			if place := &arrivals[i].Places[k]; place.Organization.IsZero() {
				place.Organization = made[place.Make]
			}
		}
	}
	return nil
}

// organizationIn returns the organization of a staged row, or nil if it has a person.
func organizationIn(text string) (*stagedOrganization, error) {
	const begin = `{"organization":`
	if len(text) < len(begin) || text[:len(begin)] != begin {
		return nil, nil
	}
	org := &stagedOrganization{}
	return org, json.Unmarshal([]byte(text), org)
}

// putOrganization makes the organization of a row, or renames the one with its external id.
func (j *job) putOrganization(ctx context.Context, in *stagedOrganization, number int, results *chunkResults) error {
	id := in.Organization.ExternalID
	there, err := j.Directory.OrganizationsNamed(ctx, []string{id})
	if err != nil {
		return err
	}
	known, found := there[id]
	if !found {
		org, err := j.Directory.CreateOrganization(ctx, directory.CreateOrganizationInput{Name: in.Organization.Name, ExternalID: given(id)})
		if err != nil {
			return err
		}
		results.arrived[number], results.organizations[number] = directory.Arrived{Outcome: db.ImportCreate}, org.ID
		return nil
	}
	before, err := j.Directory.OrganizationsByID(ctx, []db.OrganizationID{known}, nil)
	if err != nil || len(before) == 0 || before[0].Name == in.Organization.Name {
		results.arrived[number] = directory.Arrived{Outcome: db.ImportSkip}
		return err
	}
	text := known.String()
	_, err = j.Directory.UpdateOrganization(ctx, directory.UpdateOrganizationInput{Organization: directory.OrganizationRef{ID: &text}, Name: graphql.OmittableOf(&in.Organization.Name)})
	results.arrived[number], results.organizations[number] = directory.Arrived{Outcome: db.ImportUpdate}, known
	return err
}

// asTheyAre stands for the names of columns of a file that is no longer there.
func asTheyAre(column string) string { return column }
