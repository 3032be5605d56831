package directory

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/db"
	"roster/problem"
)

// maxDomains is the most domains by which users join one organization.
const maxDomains = 100

// maxDomainBytes is more than a domain has in Unicode, which is encoded in up to 253
// bytes of ASCII.
const maxDomainBytes = 1024

// numberPattern matches a last label that makes an address of the whole.
var numberPattern = regexp.MustCompile(`^\pN+$`)

// domains checks domains of email addresses, and returns each once, as addresses
// have them when they are compared.
func (f *faults) domains(field string, values []string) []string {
	if len(values) > maxDomains {
		f.Add(problem.Invalid, field, "At most %d domains.", maxDomains)
		return []string{}
	}
	domains := make([]string, len(values))
	for i, value := range values {
		domain, ok := domainOf(value)
		if !ok {
			f.Add(problem.Invalid, field+"."+strconv.Itoa(i), "Not a domain, such as example.com.")
		}
		domains[i] = domain
	}
	return distinct(domains)
}

// domainOf reads a domain of at least two labels.
func domainOf(text string) (domain string, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxDomainBytes {
		return "", false
	}
	domain, err := db.Domain(text)
	if err != nil {
		return "", false
	}
	dot := strings.LastIndexByte(domain, '.')
	return domain, dot > 0 && !numberPattern.MatchString(domain[dot+1:])
}

// joinDomains returns the domains by which people are to join the organization, each
// once. It adds a fault for each one that leads to another organization.
func (w *write) joinDomains(ctx context.Context, field string, values []string, org db.OrganizationID) ([]string, error) {
	domains := w.faults.domains(field, values)
	if len(domains) == 0 {
		return domains, nil
	}
	var taken []string
	if err := w.NewSelect().Model((*db.OrganizationDomain)(nil)).Column("domain").
		Where("domain = any(?) and org_id <> ?", pgdialect.Array(domains), org).Scan(ctx, &taken); err != nil {
		return nil, err
	}
	for i, value := range values {
		if domain, ok := domainOf(value); ok && slices.Contains(taken, domain) {
			w.faults.Add(problem.Conflict, field+"."+strconv.Itoa(i), "Another organization has this domain.")
		}
	}
	return domains, nil
}

// setDomains makes the domains of the organization, which had those of before, lead to
// it, and no others. It fails on a domain that another transaction has taken in the
// meantime.
func (w *write) setDomains(ctx context.Context, org *db.Organization, before []string) error {
	if slices.Equal(before, org.AutoJoinDomains) {
		return nil
	}
	domains := pgdialect.Array(org.AutoJoinDomains)
	if _, err := w.NewDelete().Model((*db.OrganizationDomain)(nil)).Where("org_id = ? and domain <> all(?)", org.ID, domains).Exec(ctx); err != nil {
		return err
	}
	// In order, so that two writers of several domains do not wait for each other.
	_, err := w.NewRaw(`insert into organization_domains (domain, org_id) select named.domain, ? from unnest(?::text[]) named (domain)
		where not exists (select from organization_domains own where own.domain = named.domain and own.org_id = ?) order by 1`,
		org.ID, domains, org.ID).Exec(ctx)
	return err
}
