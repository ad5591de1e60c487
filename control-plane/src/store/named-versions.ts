/** SQL that gives `script` and `number` of every version that a deployment in force or a route of its own weights names, with no weight at all too. */
export const NAMED_VERSIONS = `
  SELECT script_current.script AS script, json_extract(release.value, '$.version') AS number
    FROM script_current JOIN deployments ON deployments.id = deployment_id, json_each(deployments.releases) AS release
  UNION
  SELECT routes.script, json_extract(release.value, '$.version') FROM routes, json_each(routes.spec, '$.releases') AS release`
