// The MongoDB image runs this once, when the volume is empty. The gateway's user may read and write
// the gateway's database only; the root user is for operators.
db.getSiblingDB("admin").createUser({
  user: "gateway",
  pwd: process.env.MONGO_PASSWORD,
  roles: [{ role: "readWrite", db: "fincart" }],
});
