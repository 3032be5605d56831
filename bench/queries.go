package main

import "roster/access"

// query is one question: as a document for Roster, and as a statement for PostgreSQL,
// which return the same JSON.
type query struct {
	name, about, document string
	// statement takes the values of a case as $1, $2, …. Without a statement, the plain
	// handler receives the same requests as Roster, and sends the bytes of one of
	// Roster's answers without looking: nothing over HTTP can do less.
	statement string
	// answers is the number of checks in one request, or 0 for other queries.
	answers int
	// cases returns the cases of the query.
	cases func(*cases) []variables
	// connections is how many ask at the same time; 0 means as many as the flag says.
	connections int
	// undo removes what the query has written, for the next run; empty for queries that
	// only read.
	undo string
}

// variables are one case of a query.
type variables struct {
	// document holds the variables of the document.
	document map[string]any
	// statement holds the arguments of the statement, as text.
	statement []string
}

var queries = []query{
	{
		name: "user", about: "a user by id with organizations and roles",
		cases:     func(c *cases) []variables { return c.users },
		document:  `query ($id: ID!) { user(by: {id: $id}) { name email memberships { nodes { organization { code name } roles { key } } } } }`,
		statement: userStatement,
	},
	{
		name: "page", about: "50 users with organizations and roles",
		cases: func(c *cases) []variables { return c.userPages },
		document: `query ($after: String!) { users(first: 50, after: $after) {
			nodes { name email memberships { nodes { organization { name } roles { key } } } } } }`,
		statement: pageStatement,
	},
	{
		name: "members", about: "100 members with effective permissions",
		cases: func(c *cases) []variables { return c.memberPages },
		document: `query ($id: ID!, $after: String!) { organization(by: {id: $id}) { members(first: 100, after: $after) {
			nodes { user { email } effectivePermissions { key } } } } }`,
		statement: membersStatement,
	},
	{
		name: "can", about: "one check by ids", answers: 1,
		cases:    func(c *cases) []variables { return c.checks },
		document: `query ($user: ID!, $organization: ID!, $permission: String!) { can(user: {id: $user}, organization: {id: $organization}, permission: $permission) }`,
	},
	{
		name: "named", about: "one check by an email address and a code", answers: 1,
		cases:    func(c *cases) []variables { return c.named },
		document: `query ($user: String!, $organization: String!, $permission: String!) { can(user: {email: $user}, organization: {code: $organization}, permission: $permission) }`,
	},
	{
		name: "checks", about: "1,000 checks by ids, of mixed users and organizations", answers: batch,
		cases:    func(c *cases) []variables { return c.batches },
		document: `query ($input: [CheckInput!]!) { checks(input: $input) }`,
	},
	{
		name: "matrix", about: "100 users by 100 permissions", answers: matrixSide * matrixSide,
		cases: func(c *cases) []variables { return c.matrices },
		document: `query ($organization: ID!, $users: [UserRef!]!, $permissions: [String!]!) {
			checkMatrix(organization: {id: $organization}, users: $users, permissions: $permissions) }`,
	},
	{
		name: "grant", about: "one grant of a role, which begins later, so that the other queries do not see it", connections: 16,
		cases: func(c *cases) []variables { return c.grants },
		document: `mutation ($organization: ID!, $user: ID!, $role: ID!, $endsAt: DateTime!) { grantRoles(input: {organization: {id: $organization},
			users: [{id: $user}], roles: [{id: $role}], startsAt: "` + grantsBegin + `", endsAt: $endsAt}) { memberships { joinedAt } } }`,
		statement: grantStatement,
		undo:      `delete from membership_roles where starts_at = '` + grantsBegin + `'; delete from changes where action = 'membership.role.granted'`,
	},
}

// grantsBegin is when the grants of the query "grant" begin.
const grantsBegin = "2080-01-01T00:00:00Z"

// The sizes of one request.
const (
	batch      = 1000
	matrixSide = 100
)

// The statements are the fastest of several variants that were tried. For one user,
// correlated subqueries over indexes are the fastest; for a page, hash joins of sets.
const (
	userStatement = `
select json_build_object('data', json_build_object('user', (
	select json_build_object('name', u.name, 'email', u.email, 'memberships', json_build_object('nodes', (
		select coalesce(json_agg(json_build_object(
			'organization', json_build_object('code', o.code, 'name', o.name),
			'roles', (
				select coalesce(json_agg(json_build_object('key', r.key) order by r.key), '[]')
				from membership_roles g join roles r on r.id = g.role_id
				where g.org_id = m.org_id and g.user_id = m.user_id and r.deleted_at is null and ` + access.ActiveSQL + `)
			) order by m.joined_at, m.id), '[]')
		from memberships m join organizations o on o.id = m.org_id where m.user_id = u.id)))
	from users u where u.id = $1 and u.deleted_at is null)))`

	pageStatement = `
with u as materialized (
	select id, name, email, created_at from users
	where deleted_at is null and (created_at, id) > ($1, $2) order by created_at, id limit 50),
m as materialized (select m.* from u join memberships m on m.user_id = u.id),
r as (
	select g.org_id, g.user_id, json_agg(json_build_object('key', r.key) order by r.key) as roles
	from m join membership_roles g on g.org_id = m.org_id and g.user_id = m.user_id join roles r on r.id = g.role_id
	where r.deleted_at is null and ` + access.ActiveSQL + ` group by 1, 2),
n as (
	select m.user_id, json_agg(json_build_object(
		'organization', json_build_object('name', o.name), 'roles', coalesce(r.roles, '[]')) order by m.joined_at, m.id) as nodes
	from m join organizations o on o.id = m.org_id left join r on r.org_id = m.org_id and r.user_id = m.user_id group by 1)
select json_build_object('data', json_build_object('users', json_build_object('nodes', json_agg(json_build_object(
	'name', u.name, 'email', u.email, 'memberships', json_build_object('nodes', coalesce(n.nodes, '[]'))) order by u.created_at, u.id))))
from u left join n on n.user_id = u.id`

	membersStatement = `
with p as materialized (
	select id, json_build_object('key', key) as json, row_number() over (order by key) as n from permissions where deleted_at is null)
select json_build_object('data', json_build_object('organization', json_build_object('members', json_build_object('nodes', json_agg(
	json_build_object('user', json_build_object('email', u.email), 'effectivePermissions', (
		select coalesce(json_agg(p.json order by p.n), '[]') from p
		where u.status = 'ACTIVE' and o.status = 'ACTIVE' and p.id in (
			select rp.permission_id from membership_roles g
			join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
			where g.org_id = m.org_id and g.user_id = m.user_id and ` + access.ActiveSQL + `
			union all
			select g.permission_id from membership_permissions g
			where g.org_id = m.org_id and g.user_id = m.user_id and ` + access.ActiveSQL + `)))
	order by m.joined_at, m.id)))))
from (
	select * from memberships where org_id = $1 and (joined_at, id) > ($2, $3) order by joined_at, id limit 100) m
join users u on u.id = m.user_id join organizations o on o.id = m.org_id`

	// It is a transaction of its own, which locks what must not change meanwhile, and writes
	// the rows that Roster writes.
	grantStatement = `
with m as materialized (select m.* from memberships m join organizations o on o.id = m.org_id join users u on u.id = m.user_id
	where m.org_id = $1 and m.user_id = $2 and o.deleted_at is null and u.deleted_at is null for no key update of m for share of o, u),
r as materialized (select id, key from roles where id = $3 and deleted_at is null for share),
g as (insert into membership_roles (id, org_id, user_id, role_id, starts_at, ends_at, granted_at, granted_by)
	select gen_random_uuid(), m.org_id, m.user_id, r.id, '` + grantsBegin + `', $4, statement_timestamp(), '` + seededBy + `' from m, r returning *),
c as (insert into changes (id, actor, action, subject, org_id, after)
	select gen_random_uuid(), '` + seededBy + `', 'membership.role.granted', m.id::text, m.org_id, jsonb_build_object(
		'grantId', g.id, 'userId', g.user_id, 'role', r.key, 'startsAt', g.starts_at, 'endsAt', g.ends_at, 'reason', g.reason) from m, r, g)
select json_build_object('data', json_build_object('grantRoles', json_build_object('memberships', json_agg(json_build_object(
	'joinedAt', to_char(m.joined_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))))))
from m, g`
)
