// Run once, by the image of MongoDB, when the volume is new. The gateway may read and write its own
// database and nothing else; root is for operators.
db.getSiblingDB("admin").createUser({
  user: "gateway",
  pwd: process.env.MONGO_PASSWORD,
  roles: [{ role: "readWrite", db: "fincart" }],
});
