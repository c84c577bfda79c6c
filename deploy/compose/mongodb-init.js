// Founds the replica set of one node, and makes the user that Tidemark logs in as. To be
// run by mongosh without a connection (--nodb), as often as one likes.
//
// Addresses and passwords come from the environment and from files, so that no command
// line has them.
const fs = require('fs');

const at = process.env.MONGODB_AT;
const databases = process.env.MONGODB_DATABASES.split(' ');
const secret = (name) => fs.readFileSync(`${process.env.MONGODB_SECRETS}/${name}`, 'utf8');

const ALREADY_INITIALIZED = 23;
const uri = `mongodb://root:${secret('root-password')}@${at}/?authSource=admin&directConnection=true`
  + '&serverSelectionTimeoutMS=60000';
const admin = new Mongo(uri).getDB('admin');

const config = { _id: 'tidemark', members: [{ _id: 0, host: at }] };
try {
  admin.runCommand({ replSetInitiate: config });
  print('the replica set is founded');
} catch (error) {
  if (error.code !== ALREADY_INITIALIZED) throw error;
}
// In a fraction of a second; the loop only bounds it.
for (let tries = 0; !admin.hello().isWritablePrimary; tries += 1) {
  if (tries === 600) throw new Error('the only node of the replica set has not become its primary');
  sleep(100);
}

// Rows, progress and dead letters of a run lie in one database, and those are all it may
// touch.
const roles = databases.map((db) => ({ role: 'readWrite', db }));
const user = { pwd: secret('tidemark-password'), roles };
if (admin.getUser('tidemark')) {
  admin.updateUser('tidemark', user);
} else {
  admin.createUser({ user: 'tidemark', ...user });
}
print('the user tidemark is there');
